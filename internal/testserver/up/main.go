// Command up starts the servers that tests of backends use, all of them or those
// that are named. It prints the environment variables that make tests use them, and
// stops them on Ctrl-C; or it runs a command with these variables:
//
//	go run ./internal/testserver/up
//	go run ./internal/testserver/up redis mysql
//	go run ./internal/testserver/up -- go test ./redis
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/flamego/session/internal/testserver"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(names []string) int {
	var command []string
	if i := slices.Index(names, "--"); i >= 0 {
		names, command = names[:i], names[i+1:]
	}
	// They end with this process in any case. A command gets Ctrl-C, too.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	for _, k := range testserver.Kinds {
		if os.Getenv(k.Env) != "" || len(names) > 0 && !slices.Contains(names, k.Name) {
			continue
		}
		s := k.Launch()
		defer s.Close()
		_ = os.Setenv(k.Env, s.DSN)
		fmt.Printf("export %s='%s'\n", k.Env, s.DSN)
	}
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "Ctrl-C stops them.")
		<-stop
		return 0
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
