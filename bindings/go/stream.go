//go:build linux

package wingback

import (
	"encoding/binary"
	"net"
	"os"
	"syscall"
	"time"
)

// stream makes a stream for a job's bytes. It returns the number that the request names it by, and our
// end.
func (j *job) stream() (uint64, *os.File, error) {
	c := j.conn
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, broken("cannot make a socket: "+err.Error(), os.NewSyscallError("socketpair", err))
	}
	defer syscall.Close(fds[1])
	// Non-blocking, so that Close ends a pending read.
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		syscall.Close(fds[0])
		return 0, nil, broken("cannot make a socket: "+err.Error(), err)
	}
	ours := os.NewFile(uintptr(fds[0]), "wingback stream")
	j.streams++
	number := j.streams
	// The deadline is for a blocked engine: it does not empty the socket.
	_ = c.streams.SetWriteDeadline(time.Now().Add(patience))
	name := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, j.id), number)
	_, _, err = c.streams.WriteMsgUnix(name, syscall.UnixRights(fds[1]), nil)
	if err != nil {
		ours.Close()
		if c.isDead() {
			return 0, nil, c.err
		}
		return 0, nil, broken("cannot send it a stream: "+err.Error(), err)
	}
	return number, ours, nil
}

// seqpacket makes the socket pair over which streams are sent. It returns our end and the engine's.
func seqpacket() (*net.UnixConn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "streams"), os.NewFile(uintptr(fds[1]), "streams")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}
