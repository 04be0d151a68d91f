#!/bin/sh
# Makes the secrets that compose.yaml and HA_SETUP.md name, each once: a file that is there stays as it is.
#
#     sh deploy/make-secrets.sh [FOLDER [KIND/ID …]]        # FOLDER: deploy/secrets, KIND: edge or media-node
#
# For each process that is named it derives the keys of that process alone, by plenaryctl: from the media node's image, or
# by whatever PLENARYCTL says. PLENARY_NAMESPACE as for the processes.
#
# compose mounts these files as they lie, and the programs run as users of their own, so the files are readable. Nobody
# else gets to them, because the folder is for its owner only.
set -eu
umask 022
here=$(dirname "$0")
folder=${1:-$here/secrets}
[ $# -eq 0 ] || shift
namespace=${PLENARY_NAMESPACE:-plenary}
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
plenaryctl() {
  ${PLENARYCTL:-docker run --rm --env PLENARY_CLUSTER_SECRET --env PLENARY_ADMIN_TOKEN --env PLENARY_NAMESPACE plenary/media-node:${PLENARY_VERSION:-0.1.0} plenaryctl} "$@"
}

write cluster_secret "$(random 64)"
write api_keys "app$(random 8):$(random 64)"
write admin_token "$(random 64)"

# Passwords that stand in the address for each kind of process and in Redis' configuration: made together, or not at all.
of_redis='redis_conf redis_url redis_url_media_node redis_url_operator'
found=0
for name in $of_redis; do [ ! -e "$folder/$name" ] || found=$((found + 1)); done
if [ "$found" -ne 0 ] && [ "$found" -ne 4 ]; then
  echo "$folder has some of $of_redis, but they share passwords. Remove them, or put the others back." >&2
  exit 1
fi
edge=$(random 48)
media_node=$(random 48)
operator=$(random 48)
user() { # file, password
  sed -n "s/CHANGE-ME-$1/$2/; s/\([~&]\)plenary:/\1$namespace:/g; /^user /p" "$here/redis/users/$1.conf"
}
write redis_url "redis://plenary-edge:$edge@127.0.0.1:6379/0"
write redis_url_media_node "redis://plenary-media-node:$media_node@127.0.0.1:6379/0"
write redis_url_operator "redis://plenary-operator:$operator@127.0.0.1:6379/0"
write redis_conf "bind 127.0.0.1 -::1
port 6379
requirepass $(random 48)
$(user edge "$edge")
$(user media-node "$media_node")
$(user operator "$operator")
dir /data
appendonly yes
appendfsync everysec
maxmemory 1gb
maxmemory-policy noeviction"

PLENARY_CLUSTER_SECRET=$(cat "$folder/cluster_secret")
PLENARY_ADMIN_TOKEN=$(cat "$folder/admin_token")
PLENARY_NAMESPACE=$namespace
export PLENARY_CLUSTER_SECRET PLENARY_ADMIN_TOKEN PLENARY_NAMESPACE
for process in "$@"; do
  kind=${process%%/*}
  id=${process#*/}
  if [ "$kind" = media-node ] && [ ! -e "$folder/node_key_$id" ]; then
    key=$(plenaryctl node-key "$id")
    write "node_key_$id" "$key"
  fi
  if [ ! -e "$folder/admin_key_${kind}_$id" ]; then
    key=$(plenaryctl admin-key "$kind" "$id")
    write "admin_key_${kind}_$id" "$key"
  fi
done
