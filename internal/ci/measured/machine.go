package measured

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Machine says what was measured on, for files in dir, and when.
func Machine(dir string) string {
	// The third is of the last quarter of an hour. What is far above the number of cores
	// comes from other work.
	load := "unknown"
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Fields(string(data))[2]
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	release, _, _ := strings.Cut(strings.TrimSpace(string(kernel)), "-")
	return fmt.Sprintf("%s, %d cores, load average %s in the end; %s, Linux %s; files on %s; %s; %s",
		field("/proc/cpuinfo", "model name"), runtime.NumCPU(), load,
		field("/etc/os-release", "PRETTY_NAME="), release, fileSystem(dir), runtime.Version(), time.Now().Format("January 2006"))
}

func field(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), name)
		if key == "" && value != "" {
			return strings.Trim(value, "\t :\"")
		}
	}
	return "unknown"
}

// fileSystem is what a folder is on. The journal matters: see what docs/performance.md says
// of files.
func fileSystem(dir string) string {
	out, _ := exec.Command("findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", dir).Output()
	fields := strings.Fields(string(out))
	if len(fields) < 2 {
		return "an unknown file system"
	}
	options, err := os.ReadFile(filepath.Join("/proc/fs/ext4", filepath.Base(fields[1]), "options"))
	switch {
	case err != nil:
		return fields[0]
	case bytes.Contains(options, []byte("\ndata=")):
		return "ext4 with a journal"
	default:
		return "ext4 without a journal"
	}
}
