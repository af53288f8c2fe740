#!/usr/bin/env bash
# Installs what a test needs and this machine doesn't have:
#
#   install.sh CACHE cc | postgres | pgbouncer | mariadb | redis | chromium
#                                                      Debian's packages, as root
#   install.sh CACHE mysql | mongo                     from Debian sid into the folder
#                                                      CACHE; the system stays as it is
#   install.sh CACHE bullseye | bookworm | trixie | sid
#                                                      all servers of that suite, likewise
set -euo pipefail
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
cache=$1 what=$2

has() { command -v "$1" >/dev/null; }

there() {
	case $what in
	cc) has "${CC:-gcc}" ;;
	postgres) has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ;;
	pgbouncer) has pgbouncer ;;
	mariadb) has mariadbd && has mariadb-install-db ;;
	redis) has redis-server && has redis-cli && has openssl ;;
	chromium) has chromium || has chromium-browser || has google-chrome ;;
	*) [ -e "$cache/$what-2" ] ;;
	esac
}

# packages NAME… installs without starting any service.
packages() {
	local policy=/usr/sbin/policy-rc.d conf=/etc/postgresql-common/createcluster.conf
	local mark='# while packages for tests of flamego/session are installed'
	if [ ! -e $policy ] || grep -qF "$mark" $policy; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >$policy
		chmod 755 $policy
	fi
	[ -e $conf ] || { mkdir -p ${conf%/*} && echo 'create_main_cluster = false' >$conf; }
	apt-get update -q || echo 'going on with the lists that are here'
	apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

# unpack SUITE ROOT NAME… unpacks packages of one of Debian's suites, and all that they depend
# on, into a folder. Of apt's settings it keeps how to reach a mirror.
unpack() {
	local suite=$1 root=$2 apt=$2.apt mirror dir deb
	shift 2
	mirror=$(apt-get indextargets --format '$(SITE)' "Release: $VERSION_CODENAME" | head -n 1)
	mkdir -p "$apt"/{lists/partial,archives/partial,cache} "$root"/{etc,run,proc,dev/shm,tmp,srv}
	: >"$apt/status" # Nothing is installed there, so all dependencies are fetched.
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"
	apt-config dump | grep -iE '^Acquire::https?:' >"$apt/apt.conf" || true
	cat >>"$apt/apt.conf" <<-CONF
		Dir::Etc { sourcelist "$apt/sources.list"; sourceparts "/dev/null"; preferences "/dev/null";
			preferencesparts "/dev/null"; main "/dev/null"; parts "/dev/null"; };
		Dir::State { lists "$apt/lists"; status "$apt/status"; };
		Dir::Cache "$apt/cache";
		Dir::Cache::archives "$apt/archives";
		APT { Sandbox::User "root"; Install-Recommends "false"; };
		Acquire { Check-Valid-Until "false"; Languages "none"; Retries "3"; };
	CONF
	APT_CONFIG=$apt/apt.conf apt-get update -q
	APT_CONFIG=$apt/apt.conf apt-get install -y -q --download-only "$@"
	for dir in bin sbin lib lib64; do # Or the packages would make folders of them.
		mkdir -p "$root/usr/$dir"
		ln -s "usr/$dir" "$root/$dir"
	done
	for deb in "$apt"/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --no-same-owner --keep-directory-symlink \
			--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
	done
	rm -rf "$apt"
}

# mysql makes one program of the server and the libraries it was built with.
mysql() {
	unpack sid "$1" mysql-server-core
	cat >"$1/mysqld" <<-'RUN'
		#!/bin/sh
		root=${0%/*} lib=$(echo "${0%/*}"/usr/lib/*-linux-gnu)
		exec "$lib"/ld-linux-*.so.? --library-path "$lib" "$root/usr/sbin/mysqld" --no-defaults \
			--lc-messages-dir="$root/usr/share/mysql" --character-sets-dir="$root/usr/share/mysql/charsets" \
			--plugin-dir="$root/usr/lib/mysql/plugin" --secure-file-priv=NULL "$@"
	RUN
	chmod 755 "$1/mysqld"
}

# rooted SUITE ROOT NAME… makes a folder that a server takes for the whole system, as far as
# the packages' own scripts would have completed it.
rooted() {
	unpack "$@" dash coreutils sed grep hostname
	shift
	printf 'root:x:0:0::/:/bin/sh\npostgres:x:65534:65534::/:/bin/sh\n' >"$1/etc/passwd"
	printf 'root:x:0:\npostgres:x:65534:\n' >"$1/etc/group"
	echo '127.0.0.1 localhost' >"$1/etc/hosts"
	echo 'hosts: files' >"$1/etc/nsswitch.conf"
	[ -e "$1/usr/bin/sh" ] || ln -s dash "$1/usr/bin/sh"
	cp -a /dev/{null,zero,random,urandom} "$1/dev"
	chmod 1777 "$1/tmp" "$1/dev/shm"
}

# mongo makes one for PostgreSQL with DocumentDB, and FerretDB to put in front.
mongo() {
	rooted sid "$1" postgresql-18-documentdb postgresql-18-postgis-3-scripts
	ln -sf postgis-3.control "$1/usr/share/postgresql/18/extension/postgis.control"
	GOWORK=off GOFLAGS= CGO_ENABLED=0 GOBIN=$1 go install github.com/FerretDB/FerretDB/v2/cmd/ferretdb@v2.7.0
}

# The servers of a suite, for make matrix.
bullseye() { rooted bullseye "$1" postgresql-13 redis-server mariadb-server-core-10.5 mariadb-client-core-10.5; }
bookworm() { rooted bookworm "$1" postgresql-15 redis-server mariadb-server-core mariadb-client-core; }
trixie() { rooted trixie "$1" postgresql-17 redis-server mariadb-server-core mariadb-client-core; }
sid() {
	rooted sid "$1" postgresql-18 valkey-server
	ln -s valkey-server "$1/usr/bin/redis-server"
}

install() {
	. /etc/os-release
	if [ "$ID" != debian ] || [ "$(id -u)" != 0 ]; then
		echo "$what is not installed, and only root on Debian gets it by itself: install it, or name a server in the environment"
		return 1
	fi
	case $what in
	cc) packages gcc libc6-dev ;;
	postgres) packages postgresql ;; # of this Debian's own version
	pgbouncer) packages pgbouncer ;;
	mariadb) packages mariadb-server-core mariadb-client-core ;;
	redis) packages redis-server openssl ;;
	chromium) packages chromium fonts-inter ;;
	*)
		rm -rf "$cache"/new*
		$what "$cache/new"
		mv "$cache/new" "$cache/$what-2" # It appears when it is complete.
		;;
	esac
}

there && exit
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
exec >"$cache/install.log" 2>&1 # No pipe, which ends with the test.
there || install 9>&- # Whatever a package starts must not keep the lock.
