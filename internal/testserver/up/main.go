// Command up starts the servers that tests of backends use, all of them or those
// that are named. It prints the environment variables that make tests use them, and
// stops them on Ctrl-C; or it runs a command with these variables:
//
//	go run ./internal/testserver/up
//	go run ./internal/testserver/up redis mysql
//	go run ./internal/testserver/up -- go test ./redis
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/flamego/session/internal/testserver"
)

func main() {
	names, command := os.Args[1:], []string(nil)
	if i := slices.Index(names, "--"); i >= 0 {
		names, command = names[:i], names[i+1:]
	}
	os.Exit(run(names, command))
}

func run(names, command []string) int {
	// They end with this process in any case. A command gets Ctrl-C, too.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	var kinds []*testserver.Kind
	for _, k := range testserver.Kinds {
		if os.Getenv(k.Env) == "" && (len(names) == 0 || slices.Contains(names, k.Name)) {
			kinds = append(kinds, k)
		}
	}
	servers := make([]*testserver.Server, len(kinds))
	var wg sync.WaitGroup
	for i, k := range kinds {
		wg.Go(func() {
			s, err := k.Launch()
			servers[i] = s
			_ = os.Setenv(k.Env, k.Value(s, err))
		})
	}
	wg.Wait()
	for i, k := range kinds {
		fmt.Printf("export %s='%s'\n", k.Env, os.Getenv(k.Env))
		if servers[i] != nil {
			defer servers[i].Close()
		}
	}
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "Ctrl-C stops them.")
		<-stop
		return 0
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
