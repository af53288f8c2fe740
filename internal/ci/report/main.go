// Command report reads the output of go test -json from the standard input, and
// prints what failed, what was skipped and why, and the sums.
package main

import (
	"bufio"
	"encoding/json"
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
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
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
