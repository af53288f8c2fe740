// Command report reads the output of go test -json from the standard input, and
// prints what failed, what was skipped and why, the lines that a test logged with
// COUNT in front, and the sums. Reasons that begin with "NOT TESTED: " go to the
// file that -missing names, too.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	missing := flag.String("missing", "", "the `file` to append what was not tested to")
	flag.Parse()
	outputs := make(map[string][]string) // of each test, until it has passed
	skips := make(map[string][]string)   // reasons, with the tests
	passed, failed, skipped := 0, 0, 0
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // What go itself says, say of a package that does not build.
			continue
		}
		name := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if _, line, ok := strings.Cut(e.Output, "COUNT "); ok {
				fmt.Printf("  %s: %s", e.Test, line)
			}
			outputs[name] = append(outputs[name], e.Output)
		case "pass":
			if e.Test != "" {
				passed++
			} else {
				fmt.Printf("ok    %s\t%.1fs\n", e.Package, e.Elapsed)
			}
			delete(outputs, name)
		case "skip":
			if e.Test != "" {
				skipped++
				reason := reason(outputs[name])
				skips[reason] = append(skips[reason], e.Test)
			}
			delete(outputs, name)
		case "fail", "build-fail":
			if e.Test != "" {
				failed++
			}
			fmt.Printf("FAIL  %s\n%s", name, strings.Join(outputs[name], ""))
			delete(outputs, name)
		}
	}
	if len(skips) > 0 {
		fmt.Println("skipped, because:")
		for _, reason := range keys(skips) {
			fmt.Printf("  %s: %s\n", reason, strings.Join(skips[reason], ", "))
		}
	}
	if err := note(*missing, skips); err != nil {
		fmt.Println(err)
		failed++
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

// note appends what was not tested, and by which tests, to the file.
func note(path string, skips map[string][]string) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, reason := range keys(skips) {
		if why, ok := strings.CutPrefix(reason, "NOT TESTED: "); ok {
			if _, err := fmt.Fprintf(f, "%s (%s)\n", why, strings.Join(skips[reason], ", ")); err != nil {
				_ = f.Close()
				return err
			}
		}
	}
	return f.Close()
}

// reason finds what t.Skip was called with: the last line of the output, less
// the place in the code.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(output[i])
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			_, text, _ = strings.Cut(text, ": ")
			return text
		}
	}
	return "no reason given"
}

func keys(m map[string][]string) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	sort.Strings(list)
	return list
}
