"""Small stand-ins for the go command and for tools on PATH: shell scripts that the tests write."""

from pathlib import Path

GO = r"""#!/bin/sh
# Takes the arguments that lab/tools gives to go; "builds" programs that print $FAKE_VERSION.
{
  echo "$*"
  echo "CGO_ENABLED=$CGO_ENABLED GOFLAGS=$GOFLAGS GOTOOLCHAIN=$GOTOOLCHAIN GOWORK=$GOWORK"
} >>"$FAKE_LOG"
case "$1" in
version) echo "go version go${FAKE_GO:-1.26.8} linux/amd64"; exit 0 ;;
mod) printf '{"Dir": "%s"}' "$FAKE_MODULE"; exit 0 ;;
esac
for argument; do case "$argument" in -o=*) target=${argument#-o=} ;; esac; done
write() { printf '#!/bin/sh\necho v%s\n' "$FAKE_VERSION" >"$1"; }
for package; do
  case "$package" in
  */*) case "$package" in -*) continue ;; esac ;;
  *) continue ;;
  esac
  case "$target" in */) write "$target${package##*/}" ;; *) write "$target" ;; esac
done
if [ -n "$FAKE_FAIL" ]; then echo "main.go:1: $FAKE_FAIL"; exit 1; fi
if [ -n "$FAKE_SLEEP" ]; then
  echo $$ >"$FAKE_STARTED.new"
  mv "$FAKE_STARTED.new" "$FAKE_STARTED"
  sleep "$FAKE_SLEEP"
fi
"""


def write_executable(path: Path, text: str) -> Path:
    """Write a script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def write_tool(path: Path, version_line: str) -> Path:
    """Write a tool that answers anything with one line."""
    return write_executable(path, f"#!/bin/sh\necho '{version_line}'\n")
