// Command patch adds wingback to a checkout of Wings, Pterodactyl's or Pelican's:
//
//	go run github.com/wingback/wingback/bindings/go/wings/patch [-replace DIR] CHECKOUT
//
// It prints each change. If a part of the checkout is not as expected, it changes nothing, and the error
// names the function. A second run changes nothing. docs/wings.md describes the changes.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	replace := flag.String("replace", "", "the `directory` of this module, until it is published")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: patch [-replace DIR] CHECKOUT")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := patch(flag.Arg(0), *replace, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "patch:", err)
		os.Exit(1)
	}
}

// patch changes a checkout. It writes nothing before all changes are known.
func patch(dir, replace string, out io.Writer) error {
	c, err := open(dir)
	if err != nil {
		return err
	}
	for _, change := range changes {
		if err := c.apply(change); err != nil {
			return err
		}
	}
	if err := c.addFiles(); err != nil {
		return err
	}
	if err := c.require(replace); err != nil {
		return err
	}
	return c.write(out)
}
