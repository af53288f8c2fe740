package testserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// installed calls look, which finds programs, and on Debian as root installs
// packages and looks again if it doesn't.
func installed(look func() error, packages ...string) error {
	missing := look()
	if missing == nil {
		return nil
	}
	if err := installable(); err != nil {
		return fmt.Errorf("%w, and not to be installed: %w", missing, err)
	}
	// One at a time, on the whole machine: test binaries run side by side.
	lock, err := lockFile("apt")
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if look() == nil {
		return nil // Another test has installed it meanwhile.
	}
	// A mirror that is out of reach is so for the next test of this package, too.
	name := "apt " + strings.Join(packages, " ")
	if err, ok := failed.Load(name); ok {
		return err.(error)
	}
	err = install(lock, packages)
	if err == nil {
		err = look()
	}
	if err != nil {
		failed.Store(name, err)
	}
	return err
}

// installable tells why nothing can be installed here.
func installable() error {
	// Others have other names for the packages, and may not want them from a test.
	switch release, _ := osRelease(); {
	case release["ID"] != "debian":
		return errors.New("this is not Debian; install it by hand, or name a running server in the environment")
	case os.Getuid() != 0:
		return errors.New("that takes root; install it by hand, or name a running server in the environment")
	}
	_, err := exec.LookPath("apt-get")
	return err
}

// installScript gets packages as arguments. It is a script, and not Go, so that it
// comes to its end when the test is killed in the middle: an interrupted dpkg, or
// our policy left in place, would cost the machine more than some more seconds.
const installScript = `
set -eu
mark='# added while flamego/session tests install packages'
policy=/usr/sbin/policy-rc.d
trap 'exit 1' HUP INT TERM
# Servers installed for a test must not start by themselves.
if [ ! -e $policy ] || grep -qF "$mark" $policy; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >$policy
	chmod 755 $policy
fi
# Nor is a cluster of databases wanted that nobody asked for.
conf=/etc/postgresql-common/createcluster.conf
case " $* " in *' postgresql'*)
	if [ ! -e $conf ]; then
		mkdir -p ${conf%/*}
		echo 'create_main_cluster = false' >$conf
	fi
esac
export DEBIAN_FRONTEND=noninteractive
# Without descriptor 3, the lock of the test: it ends with this script, whatever
# a package starts.
apt-get update -q 3>&- || echo 'going on with the package lists that are here'
apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 \
	-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" 3>&-
`

// install runs installScript. That the test waits for it is all that they have to
// do with each other.
func install(lock *os.File, packages []string) error {
	dir, err := cacheDir()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "apt.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command("/bin/sh", slices.Concat([]string{"-c", installScript, "install"}, packages)...)
	// Into a file, since a pipe to a test that has died would kill the script.
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lock}                    // Held until the script ends, too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it.
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get install %s: %w%s", strings.Join(packages, " "), err, tail(log.Name()))
	}
	return nil
}

// osRelease reads what the system says it is.
func osRelease() (map[string]string, error) {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return nil, err
	}
	values := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"'`)
	}
	return values, nil
}

// programPath finds a program, also where the PATH of plain users does not lead.
func programPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}

// programPaths finds several, or fails with the first that is missing: a half
// installed package must not be started.
func programPaths(paths map[string]string, names ...string) error {
	for _, name := range names {
		path, err := programPath(name)
		if err != nil {
			return err
		}
		paths[name] = path
	}
	return nil
}

// versionOf asks a program for its version.
func versionOf(path string, args ...string) (string, error) {
	cmd := exec.Command(path, append(args, "--version")...)
	cmd.Env = plainEnv()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	return number(string(out)), nil
}
