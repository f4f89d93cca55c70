//go:build linux && cgo && (wingback_cgo || wingback_pkgconfig)

package wingback

/*
#cgo !wingback_pkgconfig CFLAGS: -I${SRCDIR}/lib
#cgo !wingback_pkgconfig LDFLAGS: ${SRCDIR}/lib/libwingback.a -lm -lpthread -ldl -lrt -lutil
#cgo wingback_pkgconfig pkg-config: wingback
#include <wingback.h>
*/
import "C"

import (
	"errors"
	"os"
)

const hasLibrary = true

// openInProcess runs the worker of the command on a thread of this process.
func openInProcess() (*transport, error) {
	pipes, err := newPipes()
	if err != nil {
		return nil, broken("cannot make a pipe: "+err.Error(), err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- run(pipes.engineRequests, pipes.engineEvents, pipes.engineStreams)
		pipes.closeEngineEnds()
	}()
	ours := pipes.ours
	ours.pid = os.Getpid()
	ours.wait = func() error { return <-ended }
	return ours, nil
}

func run(requests, events, streams *os.File) error {
	status := C.wingback_worker_run(C.int(requests.Fd()), C.int(events.Fd()), C.int(streams.Fd()), nil)
	if status != 0 {
		return errors.New(C.GoString(C.wingback_status_name(C.int32_t(status))))
	}
	return nil
}
