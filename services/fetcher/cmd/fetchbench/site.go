//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

// page makes a page of text with links, which compresses as pages do.
func page(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "<p>Paragraph %d with <a href=\"/page/%d\">a link</a> and words %x.</p>\n", i, i*7919%1000, i*2654435761)
	}
	return b.Bytes()[:size]
}

// serve tells its address and answers every request with one page, at next to no cost,
// until stdin ends.
func serve(w io.Writer, size int) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	answer := append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nServer: bench\r\n"+
		"Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Length: %d\r\n\r\n", size), page(size)...)
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // ends with the command that started us
		_ = l.Close()
	}()
	if _, err := fmt.Fprintln(w, l.Addr()); err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return nil
		}
		go answerAll(c, answer)
	}
}

func answerAll(c net.Conn, answer []byte) {
	defer c.Close()
	buf := make([]byte, 8192)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}
}

// startSite starts the site on the first core, and keeps this process off it.
func startSite(size int) (addr string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(self, "-site", fmt.Sprint(size))
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = in.Close(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("start the site: %w", err)
	}
	if n := runtime.NumCPU(); n > 1 {
		pin(cmd.Process.Pid, 1)
		pin(os.Getpid(), (1<<n-1)&^1)
		runtime.GOMAXPROCS(n - 1)
	}
	return strings.TrimSpace(line), stop, nil
}

// pin keeps a process's threads on some cores; where it may not, the figures are only
// noisier.
func pin(pid int, mask uint64) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return
	}
	for _, t := range tasks {
		tid := 0
		if _, err := fmt.Sscan(t.Name(), &tid); err == nil {
			_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
		}
	}
}
