// Reads cases from standard input, and prints which paths the rules of Wings exclude.
//
// A case is a line of JSON. The result is a line with a 0 or a 1 for each path.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
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
		for _, path := range c.Paths {
			answer := '0'
			if rules.MatchesPath(string(path)) {
				answer = '1'
			}
			output.WriteRune(answer)
		}
		fmt.Fprintln(output)
	}
	if err := output.Flush(); err != nil {
		log.Fatal(err)
	}
}
