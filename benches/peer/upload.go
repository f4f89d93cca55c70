package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
)

// upload sends the parts of the archive one after another, each to the next URL of the file, as
// Wings does with the URLs that its Panel has signed.
func upload(archive, urls string, partSize int64) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	list, err := os.Open(urls)
	if err != nil {
		return err
	}
	defer list.Close()
	lines := bufio.NewScanner(list)
	for at := int64(0); at < info.Size(); at += partSize {
		if !lines.Scan() {
			return fmt.Errorf("there are too few URLs")
		}
		if err := put(lines.Text(), io.NewSectionReader(f, at, min(partSize, info.Size()-at))); err != nil {
			return err
		}
	}
	return nil
}

func put(url string, part *io.SectionReader) error {
	request, err := http.NewRequest(http.MethodPut, url, part)
	if err != nil {
		return err
	}
	request.ContentLength = part.Size()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the service answered %s", answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
