package backup

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/pgzip"
)

// Archive makes an archive with the modules and settings of Wings.
func Archive(source string, to io.Writer) error {
	zipped, err := pgzip.NewWriterLevel(to, pgzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := zipped.SetConcurrency(1<<20, 1); err != nil {
		return err
	}
	writer := tar.NewWriter(zipped)
	buf := make([]byte, 4<<10)
	err = filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		if header.Name, err = filepath.Rel(source, path); err != nil {
			return err
		}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{writer}, struct{ io.Reader }{file}, buf)
		return err
	})
	if err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

// Extract reads an archive with modules of Wings.
func Extract(r io.Reader, callback RestoreCallback) error {
	unzipped, err := pgzip.NewReader(r)
	if err != nil {
		return err
	}
	for reader := tar.NewReader(unzipped); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := callback(header.Name, header.FileInfo(), io.NopCloser(reader)); err != nil {
			return err
		}
	}
}
