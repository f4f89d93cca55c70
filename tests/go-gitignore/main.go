// Reads cases from standard input, and prints which patterns exclude paths by the rules of Wings.
//
// A case is a line of JSON. The result is a line with a number for each path: that of the line whose pattern
// excludes it, counted from 1, or 0.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	ignore "github.com/sabhiram/go-gitignore"
)

type testCase struct {
	Patterns []byte   `json:"patterns"`
	Paths    [][]byte `json:"paths"`
}

func main() {
	input := json.NewDecoder(bufio.NewReader(os.Stdin))
	output := bufio.NewWriter(os.Stdout)
	for input.More() {
		var c testCase
		if err := input.Decode(&c); err != nil {
			log.Fatal(err)
		}
		rules := ignore.CompileIgnoreLines(strings.Split(string(c.Patterns), "\n")...)
		answers := make([]string, len(c.Paths))
		for i, path := range c.Paths {
			answers[i] = "0"
			if excluded, by := rules.MatchesPathHow(string(path)); excluded {
				answers[i] = strconv.Itoa(by.LineNo)
			}
		}
		fmt.Fprintln(output, strings.Join(answers, " "))
	}
	if err := output.Flush(); err != nil {
		log.Fatal(err)
	}
}
