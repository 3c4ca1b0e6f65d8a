#!/bin/sh
# apt.sh PACKAGE...: installs Debian packages as root, without starting or enabling the daemons they bring.
# Run by setup.mjs, which keeps what it prints in a log.
set -u
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

# apt asks this file before a package starts a daemon; a machine that has one already keeps its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Should this shell be killed before it cleans up, the file stops refusing and removes itself when it is next asked.
  cat >"$policy" <<POLICY
#!/bin/sh
grep -q apt.sh /proc/$$/cmdline 2>/dev/null && exit 101
rm -f "$policy"
exit 0
POLICY
  chmod 755 "$policy"
fi

apt() {
  apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

attempt=1
while :; do
  # A source that cannot be reached need not be one of ours: the install decides.
  apt update
  apt install -y --no-install-recommends "$@" && break
  [ "$attempt" -ge 4 ] && exit 1
  sleep $((attempt * 5))
  attempt=$((attempt + 1))
  dpkg --configure -a
done

# What would start with the machine from now on: Exhibit starts servers of its own.
if command -v systemctl >/dev/null; then
  case " $* " in *' redis-server '*) systemctl disable --quiet redis-server ;; esac
  case " $* " in *' ceph-base '*) systemctl disable --quiet ceph-crash ;; esac
  case " $* " in *' nginx-light '*) systemctl disable --quiet nginx ;; esac
fi
exit 0
