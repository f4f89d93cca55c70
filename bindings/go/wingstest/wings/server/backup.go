package server

import (
	"fmt"
	"io"
	"io/fs"

	"github.com/apex/log"

	"github.com/pterodactyl/wings/server/backup"
)

// Backup makes a backup, and notifies the Panel and the clients of the result.
func (s *Server) Backup(b backup.BackupInterface) error {
	details, err := b.Generate(s.ctx, s.fs, b.Ignored())
	successful := err == nil
	if !successful {
		details = &backup.ArchiveDetails{}
	}
	if failed := s.client.SetBackupStatus(s.ctx, b.Identifier(), details.ToRequest(successful)); failed != nil {
		if successful {
			// Wings does not keep an archive that the Panel does not know.
			_ = b.Remove()
			return failed
		}
		log.WithError(failed).Warn("the Panel was not notified of the failed backup")
	}
	s.events.Publish(BackupCompletedEvent+":"+b.Identifier(), map[string]any{
		"uuid": b.Identifier(), "is_successful": successful, "checksum": details.Checksum, "checksum_type": "sha1",
		"file_size": details.Size,
	})
	return err
}

// RestoreBackup restores a backup, and notifies the Panel of the result.
func (s *Server) RestoreBackup(b backup.BackupInterface, reader io.ReadCloser) (err error) {
	s.suspended.Store(true)
	defer func() {
		s.suspended.Store(false)
		if reader != nil {
			_ = reader.Close()
		}
		if failed := s.client.SendRestorationStatus(s.ctx, b.Identifier(), err == nil); failed != nil {
			log.WithError(failed).Error("the Panel was not notified of the restore")
		}
	}()
	return b.Restore(s.ctx, reader, func(name string, info fs.FileInfo, content io.ReadCloser) error {
		defer content.Close()
		s.events.Publish(DaemonMessageEvent, fmt.Sprint("(restoring): ", name))
		if err := s.fs.Write(name, content, info.Size(), info.Mode()); err != nil {
			return err
		}
		return s.fs.Chtimes(name, info.ModTime(), info.ModTime())
	})
}
