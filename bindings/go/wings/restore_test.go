package wings

import (
	"slices"
	"testing"
	"time"

	wingback "github.com/wingback/wingback/bindings/go"
)

func TestProgressOfAVerificationIsAMessageFromTimeToTime(t *testing.T) {
	var messages []string
	said := verifying(func(text string) { messages = append(messages, text) })
	said(wingback.Progress{Bytes: 1})
	messageEvery = 0
	t.Cleanup(func() { messageEvery = 2 * time.Second })
	for _, progress := range []wingback.Progress{
		{}, {Bytes: 25, ExpectedBytes: 100}, {Bytes: 200, ExpectedBytes: 100}, {Bytes: 7_000_000},
	} {
		said(progress)
	}
	if want := []string{"(verifying): 25 %", "(verifying): 100 %", "(verifying): 7 MB"}; !slices.Equal(messages, want) {
		t.Errorf("%q", messages)
	}
}

func TestTheFirstMissingFilesAreNamed(t *testing.T) {
	details := Details{Report: &wingback.Report{}}
	for i := 0; i < 40; i++ {
		details.Report.Skipped = append(details.Report.Skipped, wingback.Skipped{Path: "caf\xe9", Loss: i >= 20})
	}
	missing := details.MissingFiles(10)
	if len(missing) != 10 || !missing[0].Loss || missing[9].Path != "caf\xe9" {
		t.Errorf("%+v", missing)
	}
}
