#!/bin/sh
# Stands in for Chromium: writes its last argument, the address, where the picture should be. `fail` in the address: writes nothing.
for argument; do
  case "$argument" in --screenshot=*) picture=${argument#--screenshot=} ;; esac
  address=$argument
done
case "$address" in *in-flight*) [ -e "$(dirname "$picture")/fail" ] && exit 7 ;; esac
printf '%s' "$address" >"$picture"
