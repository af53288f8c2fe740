package testserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// What no stable Debian has comes from sid, unpacked into a folder of its own with
// all that it depends on. The system's packages, lists and configuration stay as
// they are.

const sidKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// unpackSid makes a root folder with the packages, below a keeper.
func unpackSid(k *keeper, packages ...string) (root string, err error) {
	mirror, err := debianMirror()
	if err != nil {
		return "", err
	}
	apt := filepath.Join(k.dir, "apt")
	root = filepath.Join(k.dir, "root")
	for _, dir := range []string{"lists/partial", "archives/partial", "cache"} {
		if err := os.MkdirAll(filepath.Join(apt, dir), 0o755); err != nil {
			return "", err
		}
	}
	for name, text := range map[string]string{
		"status":       "", // Nothing is installed there, so all dependencies are fetched.
		"sources.list": fmt.Sprintf("deb [signed-by=%s] %s sid main\n", sidKeyring, mirror),
		"apt.conf":     sidConf(apt),
	} {
		if err := os.WriteFile(filepath.Join(apt, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	// This file is read first, and says that there are no others.
	env := append(os.Environ(), "APT_CONFIG="+filepath.Join(apt, "apt.conf"), "DEBIAN_FRONTEND=noninteractive")
	get, err := exec.LookPath("apt-get")
	if err != nil {
		return "", err
	}
	if err := k.run(command{Args: []string{get, "update", "-q"}, Env: env}); err != nil {
		return "", err
	}
	args := slices.Concat([]string{get, "install", "-y", "-q", "--download-only"}, packages)
	if err := k.run(command{Args: args, Env: env}); err != nil {
		return "", err
	}
	if err := makeRoot(root); err != nil {
		return "", err
	}
	return root, k.run(command{
		Args: []string{"/bin/sh", "-c", unpackScript, "unpack", filepath.Join(apt, "archives"), root},
		Env:  env,
	})
}

// unpackScript gets the folder of packages and the root folder. A plain user may
// run it, too.
const unpackScript = `
set -eu
for deb in "$1"/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" >"$1/tar" # no pipe, which would hide that it failed
	tar -x -f "$1/tar" -C "$2" --no-same-owner --keep-directory-symlink \
		--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
done
rm -rf "$1"
`

// makeRoot makes what packages expect in a root folder: first of all that /bin and
// the like are links into /usr, as otherwise they would come to be folders, and half
// of the libraries out of sight.
func makeRoot(root string) error {
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(root, "usr", dir), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+dir, filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	for _, dir := range []string{"etc", "run", "proc", "dev", "tmp", "srv"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// sidConf keeps apt away from the system's own state. Of the system's settings
// only those about how to reach a mirror are kept, such as a proxy.
func sidConf(apt string) string {
	conf := fmt.Sprintf(`
Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::State::lists "%[1]s/lists";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache";
Dir::Cache::archives "%[1]s/archives";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
`, apt)
	dump, err := exec.Command("apt-config", "dump").Output()
	if err != nil {
		return conf
	}
	for line := range strings.Lines(string(dump)) {
		if strings.HasPrefix(line, "Acquire::http") || strings.HasPrefix(line, "Acquire::https") {
			conf += line
		}
	}
	return conf
}

// debianMirror is where this machine gets its own Debian from.
func debianMirror() (string, error) {
	release, err := osRelease()
	if err != nil {
		return "", err
	}
	codename := release["VERSION_CODENAME"]
	if release["ID"] != "debian" || codename == "" {
		return "", errors.New("this is not Debian, whose packages it is made of; name a running server in the environment")
	}
	if !exists(sidKeyring) {
		return "", errors.New("there is no " + sidKeyring)
	}
	// Other sources, of other vendors, are in the same folder: the one that has this
	// release itself is the one that has sid.
	for _, file := range slices.Concat(
		globs("/etc/apt/sources.list.d/*.sources"), globs("/etc/apt/sources.list.d/*.list"), globs("/etc/apt/sources.list")) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		mirror := mirrorOfList(string(text), codename)
		if strings.HasSuffix(file, ".sources") {
			mirror = mirrorOfSources(string(text), codename)
		}
		if mirror != "" {
			return mirror, nil
		}
	}
	return "", errors.New("no mirror of " + codename + " in /etc/apt")
}

// mirrorOfSources reads the format with one field on each line, and paragraphs.
func mirrorOfSources(text, codename string) string {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		uri, suite := "", false
		for line := range strings.Lines(paragraph) {
			name, value, _ := strings.Cut(line, ":")
			switch words := strings.Fields(value); strings.ToLower(name) {
			case "uris":
				uri = firstHTTP(words)
			case "suites":
				suite = slices.Contains(words, codename)
			}
		}
		// Suites such as bookworm-security have mirrors of their own, without sid.
		if suite && uri != "" {
			return uri
		}
	}
	return ""
}

// mirrorOfList reads lines such as "deb [options] URI suite components".
func mirrorOfList(text, codename string) string {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "deb" {
			continue
		}
		// Options in brackets may stand before the URI; the suite follows it.
		for i, word := range words[:len(words)-1] {
			if words[i+1] == codename && firstHTTP([]string{word}) != "" {
				return word
			}
		}
	}
	return ""
}

// firstHTTP leaves out lists of mirrors and media, which have no sid.
func firstHTTP(uris []string) string {
	for _, uri := range uris {
		if strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://") {
			return uri
		}
	}
	return ""
}
