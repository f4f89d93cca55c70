//go:build linux

package wingback

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// The lowest descriptor for a file in memory; it is above those that a child gets.
const memoryAtLeast = 64

// inMemory returns a file in memory (memfd_create(2)) that is closed on exec.
func inMemory(content []byte) (*os.File, error) {
	numbers := map[string]uintptr{"amd64": 319, "arm64": 279}
	number, known := numbers[runtime.GOARCH]
	if !known || runtime.GOOS != "linux" {
		return nil, syscall.ENOSYS
	}
	name := []byte("wingback\x00")
	const closeOnExec, executable = 1, 0x10
	create := func(flags uintptr) (uintptr, syscall.Errno) {
		fd, _, errno := syscall.Syscall(number, uintptr(unsafe.Pointer(&name[0])), flags, 0)
		return fd, errno
	}
	// If vm.memfd_noexec is 1, the file is executable only with this flag. Linux before 6.3 does not know
	// the flag.
	fd, errno := create(closeOnExec | executable)
	if errno == syscall.EINVAL {
		fd, errno = create(closeOnExec)
	}
	if errno != 0 {
		return nil, os.NewSyscallError("memfd_create", errno)
	}
	// Before exec, the child's own descriptors replace the low numbers.
	high, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, memoryAtLeast)
	syscall.Close(int(fd))
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	file := os.NewFile(high, "wingback")
	if _, err := file.Write(content); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
