package wingstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wingback/wingback/bindings/go/wingstest/tree"
)

const backupRouter = "router/router_server_backup.go"

// checkout returns a copy of the stand-in for Wings, as it is before the patch.
func checkout(t *testing.T) string {
	dir := t.TempDir()
	tree.Must(t, exec.Command("cp", "-a", "wings/.", dir).Run())
	return dir
}

func patch(dir string) (string, error) {
	command := exec.Command("go", "run", "./wings/patch", "-replace", ".", dir)
	command.Dir = ".."
	out, err := command.CombinedOutput()
	return string(out), err
}

// edit replaces text in a file of a checkout.
func edit(t *testing.T, dir, name string, pairs ...string) {
	t.Helper()
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	tree.Must(t, err)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			t.Fatalf("%s does not have %q", name, pairs[i])
		}
	}
	tree.Must(t, os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600))
}

// content returns all files of a directory.
func content(t *testing.T, dir string) string {
	out, err := exec.Command("sh", "-c", `cd "$0" && find . -type f | sort | xargs tail -n +1`, dir).Output()
	tree.Must(t, err)
	return string(out)
}

func TestASecondPatchChangesNothing(t *testing.T) {
	dir := checkout(t)
	out, err := patch(dir)
	tree.Must(t, err)
	for _, line := range []string{
		"config/config.go: ", "remote/types.go: ", "cmd/root.go: rootCmdRun", backupRouter + ": postServerBackup",
		backupRouter + ": postServerRestoreBackup", backupRouter + ": deleteServerBackup", "cmd/wingback.go: new file",
		"router/wingback.go: new file", "server/backup/wingback.go: new file", "go.mod: requires",
	} {
		if !strings.Contains("\n"+out, "\n"+line) {
			t.Errorf("%s\nhas no line %s", out, line)
		}
	}
	first := content(t, dir)
	if out, err := patch(dir); err != nil || out != "nothing to change\n" {
		t.Error(out, err)
	}
	if content(t, dir) != first {
		t.Error("the second patch has changed files")
	}
	// A file of an earlier version is replaced.
	edit(t, dir, "router/wingback.go", "func wingbackRestore", "func wingbackOlder")
	if out, err := patch(dir); err != nil || !strings.HasPrefix(out, "router/wingback.go: replaced") {
		t.Error(out, err)
	}
	if content(t, dir) != first {
		t.Error("the file differs")
	}
}

// An error names the file and the function, and nothing is changed.
func TestACheckoutThatDoesNotFitStaysAsItIs(t *testing.T) {
	for _, c := range [][4]string{
		{"go.mod", "github.com/pterodactyl/wings", "example.org/wings", "go.mod has none of the module paths"},
		{"config/config.go", "type Backups struct", "type Others struct", "config/config.go: there is no struct Backups"},
		{"cmd/root.go", "func rootCmdRun", "func rootRun", "cmd/root.go: there is no function rootCmdRun"},
		{"cmd/root.go", "server.NewManager", "server.Load", "cmd/root.go: the function rootCmdRun has no call of server.NewManager"},
		{backupRouter, "backup.NewLocal(", "backup.Local(", "the function postServerBackup has no switch"},
		{backupRouter, "s.Backup(b)", "s.MakeBackup(b)", "the function postServerBackup has no goroutine"},
		{backupRouter, "if data.TruncateDirectory", "if truncate", "the function postServerRestoreBackup has no statement"},
		{backupRouter, "s.RestoreBackup(b, nil)", "s.Restore(b)", "the function postServerRestoreBackup has no two calls"},
		{backupRouter, "res, err := ", "response, err := ", "the function postServerRestoreBackup has no download"},
		{backupRouter, "b.Remove()", "b.Delete()", "the function deleteServerBackup has no call of b.Remove"},
	} {
		dir := checkout(t)
		edit(t, dir, c[0], c[1], c[2])
		before := content(t, dir)
		if out, err := patch(dir); err == nil || !strings.Contains(out, c[3]) {
			t.Errorf("%s: %v: %s", c[1], err, out)
		}
		if content(t, dir) != before {
			t.Errorf("%s: files were changed", c[1])
		}
	}
	if out, err := patch("/nowhere"); err == nil || !strings.Contains(out, "not a checkout of Wings") {
		t.Error(out, err)
	}
}

// Pelican has another module path, the server's UUID in the constructors, a variable `ok` in the handler, and
// its own check of the download.
func TestTheShapeOfPelicanIsPatchedAndBuilt(t *testing.T) {
	for _, module := range []string{"github.com/pelican/wings", "github.com/pelican-dev/wings"} {
		dir := checkout(t)
		tree.Must(t, exec.Command("sh", "-c", `grep -rl github.com/pterodactyl "$0" | xargs sed -i "s,github.com/pterodactyl/wings,$1,"`, dir, module).Run())
		edit(t, dir, "server/backup/backup_local.go", "uuid, ignore string", "uuid, server, ignore string", "uuid string", "uuid, server string",
			`NewLocal(client, uuid, "")`, `NewLocal(client, uuid, server, "")`)
		edit(t, dir, "server/backup/backup_s3.go", "uuid, ignore string", "uuid, server, ignore string")
		edit(t, dir, "router/router_download.go", "token.BackupUuid)", "token.BackupUuid, token.ServerUuid)")
		edit(t, dir, backupRouter,
			"var adapter", "checked, ok := data.Uuid, true\n\tif !ok {\n\t\treturn\n\t}\n\tvar adapter",
			"(client, data.Uuid, data.Ignore)", "(client, checked, s.ID(), data.Ignore)",
			`c.Param("backup"))`+"\n\t\tif err", `c.Param("backup"), s.ID())`+"\n\t\tif err",
			`(client, uuid, "")`, `(client, uuid, s.ID(), "")`,
			`c.Param("backup"))`+"\n\tif err", `c.Param("backup"), middleware.ExtractServer(c).ID())`+"\n\tif err",
			"if kind := ", "if res.StatusCode != http.StatusOK {\n\t\treturn\n\t}\n\tif kind := ")
		out, err := patch(dir)
		if err != nil {
			t.Fatal(out)
		}
		adapter, err := os.ReadFile(filepath.Join(dir, "server/backup/wingback.go"))
		tree.Must(t, err)
		if !strings.Contains(string(adapter), "wings.Pelican,") || strings.Contains(string(adapter), "terodactyl") {
			t.Errorf("%s", adapter)
		}
		router, err := os.ReadFile(filepath.Join(dir, backupRouter))
		tree.Must(t, err)
		if strings.Contains(string(router), "wingbackDownload(") {
			t.Error("the status of the download is checked twice")
		}
		vet := exec.Command("go", "vet", "./...")
		vet.Dir = dir
		tree.Must(t, exec.Command("cp", "go.sum", dir).Run())
		vet.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
		if out, err := vet.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}
