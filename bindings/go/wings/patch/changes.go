package main

import (
	"fmt"
	"go/ast"
)

// A change is made to one file. It does nothing if the file has it.
type change struct {
	name string
	what string
	// make reports whether it has changed the source.
	make func(*source) (bool, error)
}

var changes = []change{
	{"config/config.go", "struct Backups: the field Engine", addField("Backups", "Engine", `

	// Engine is "wingback", or "stock" for Wings' own archiver.
	Engine string `+"`default:\"stock\" yaml:\"engine\"`\n")},
	{"remote/types.go", "struct BackupRemoteUploadResponse: the field MaxConcurrentUploads",
		addField("BackupRemoteUploadResponse", "MaxConcurrentUploads", `
	// MaxConcurrentUploads is the most parts to upload at once; 0 if the Panel does not say.
	MaxConcurrentUploads int `+"`json:\"max_concurrent_uploads\"`\n")},
	{"cmd/root.go", "rootCmdRun: the check of the command wingback",
		in("rootCmdRun", "wingbackCheck", checkAtStart)},
	{backups, "postServerBackup: the adapter of the engine; 409 for a backup that exists or is being made",
		in("postServerBackup", "wingbackBegin", beginBackup)},
	{backups, "postServerRestoreBackup: the adapter of the engine, which removes files after the archive was checked",
		in("postServerRestoreBackup", "wingbackRestore", restoreBackup)},
	{backups, "deleteServerBackup: the adapter of the engine",
		in("deleteServerBackup", "wingbackAdapter", deleteBackup)},
}

const backups = "router/router_server_backup.go"

func (c *checkout) apply(change change) error {
	text, err := c.read(change.name)
	if err != nil {
		return err
	}
	s, err := parse(change.name, text)
	if err != nil {
		return err
	}
	changed, err := change.make(s)
	if err != nil || !changed {
		return err
	}
	text, err = s.result()
	if err != nil {
		return fmt.Errorf("%s: %w", change.name, err)
	}
	c.set(change.name, text, change.what)
	return nil
}

// in changes a function, unless it calls the function `marker`, which is new.
func in(name, marker string, change func(function) error) func(*source) (bool, error) {
	return func(s *source) (bool, error) {
		f, err := s.function(name)
		if err != nil || len(f.calls(f.Body, marker)) > 0 {
			return false, err
		}
		return true, change(f)
	}
}

func checkAtStart(f function) error {
	before, _ := f.statement(func(s ast.Stmt) bool { return len(f.calls(s, "server.NewManager")) > 0 })
	if before == nil {
		return f.fail("call of server.NewManager")
	}
	f.insert(before.Pos(), "wingbackCheck("+f.parameter()+".Context())\n\n")
	return nil
}

func beginBackup(f function) error {
	// The switch answers an adapter that is not valid, so it stays.
	selected, _ := f.statement(func(s ast.Stmt) bool {
		s2, is := s.(*ast.SwitchStmt)
		return is && len(f.calls(s2, "backup.NewLocal")) > 0 && len(find(s2, func(to *ast.AssignStmt) bool {
			return f.of(to.Lhs[0]) == "adapter"
		})) > 0
	})
	if selected == nil {
		return f.fail("switch that sets `adapter` to backup.NewLocal(…)")
	}
	making := find(f.Body, func(lit *ast.FuncLit) bool { return len(f.calls(lit, "s.Backup")) > 0 })
	if len(making) != 1 {
		return f.fail("goroutine that calls s.Backup once")
	}
	f.insert(selected.End(), "\n\n\tadapter, end, ok := wingbackBegin("+f.parameter()+", adapter)\n\tif !ok {\n\t\treturn\n\t}\n")
	f.insert(making[0].Body.Lbrace+1, "\n\t\tdefer end()")
	return nil
}

func restoreBackup(f function) error {
	truncate, _ := f.statement(func(s ast.Stmt) bool {
		s2, is := s.(*ast.IfStmt)
		return is && f.of(s2.Cond) == "data.TruncateDirectory"
	})
	if truncate == nil {
		return f.fail("statement `if data.TruncateDirectory`")
	}
	restores := f.calls(f.Body, "s.RestoreBackup")
	if len(restores) != 2 {
		return f.fail("two calls of s.RestoreBackup, for a local archive and a download")
	}
	f.replace(truncate.(*ast.IfStmt).Cond, "data.TruncateDirectory && !backup.UsesWingback()")
	for _, restore := range restores {
		stock := restore.Args[0]
		f.replace(stock, "wingbackRestore(s, "+f.of(stock)+", data.TruncateDirectory)")
	}
	return checkDownload(f)
}

// checkDownload adds a check of the status of the download. Pelican has one.
func checkDownload(f function) error {
	if len(find(f.Body, func(s *ast.SelectorExpr) bool { return f.of(s) == "res.StatusCode" })) > 0 {
		return nil
	}
	_, at := f.statement(func(s ast.Stmt) bool {
		to, is := s.(*ast.AssignStmt)
		return is && f.of(to.Lhs[0]) == "res"
	})
	if at < 0 || at+1 == len(f.Body.List) {
		return f.fail("download with the result `res`")
	}
	failed, is := f.Body.List[at+1].(*ast.IfStmt)
	if !is {
		return f.fail("check of the error after the download")
	}
	f.insert(failed.End(), "\n\tif !wingbackDownload("+f.parameter()+", res) {\n\t\treturn\n\t}")
	return nil
}

func deleteBackup(f function) error {
	removes := f.calls(f.Body, "b.Remove")
	if len(removes) != 1 {
		return f.fail("call of b.Remove")
	}
	stock := removes[0].Fun.(*ast.SelectorExpr).X
	f.replace(stock, "wingbackAdapter("+f.parameter()+", b)")
	return nil
}
