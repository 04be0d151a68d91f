#!/bin/sh
# Makes the secrets that compose.yaml names, each once: a file that is there stays as it is. Without an argument they
# go into deploy/secrets.
#
# compose mounts these files as they lie, and the programs run as users of their own, so the files are readable. Nobody
# else gets to them, because the folder is for its owner only.
set -eu
umask 022
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

random() { # letters and digits only: some of them stand in an address
  LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c "$1"
}
write() { # name, text
  if [ -e "$folder/$1" ]; then
    echo "kept  $folder/$1"
  else
    printf '%s\n' "$2" >"$folder/$1"
    echo "wrote $folder/$1"
  fi
}

# One password in two files: they are made together, or not at all.
if [ -e "$folder/redis_url" ] && [ ! -e "$folder/redis_conf" ] || [ ! -e "$folder/redis_url" ] && [ -e "$folder/redis_conf" ]; then
  echo "$folder has one of redis_url and redis_conf, but they share a password. Remove it, or put the other one back." >&2
  exit 1
fi
password=$(random 48)
write cluster_secret "$(random 64)"
write api_keys "app$(random 8):$(random 64)"
write admin_token "$(random 64)"
write redis_url "redis://:$password@127.0.0.1:6379/0"
write redis_conf "bind 127.0.0.1 -::1
port 6379
requirepass $password
dir /data
appendonly yes
appendfsync everysec
maxmemory 1gb
maxmemory-policy noeviction"
