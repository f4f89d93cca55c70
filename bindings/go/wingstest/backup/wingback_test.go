package backup

import (
	"strings"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
	"github.com/wingback/wingback/bindings/go/wings"
	"github.com/wingback/wingback/bindings/go/wingstest/log"
)

func TestTheLogNamesTheFirstMissingFiles(t *testing.T) {
	report := &wingback.Report{SkippedMore: 5, Duration: time.Second}
	for i := 0; i < 40; i++ {
		report.Skipped = append(report.Skipped, wingback.Skipped{Path: "caf\xe9", Message: "denied", Loss: i >= 20})
	}
	log.Lines = nil
	NewLocal(nil, "the-id", "").created(&wings.Details{Size: 7, Report: report})
	if len(log.Lines) != 11 || !strings.HasPrefix(log.Lines[0], "warn: ") || !strings.Contains(log.Lines[9], "path:caf\xe9 reason:denied") {
		t.Errorf("%q", log.Lines)
	}
	if last := log.Lines[len(log.Lines)-1]; !strings.Contains(last, "size:7 skipped:45 took:1s") {
		t.Error(last)
	}
}
