# Read by the shell that completes: see zsh.
stty columns 1000  # no description is cut
PROMPT=
unset zle_bracketed_paste
[[ -z $COMPLETION_DIRECTORY ]] || fpath=($COMPLETION_DIRECTORY $fpath)
autoload -Uz compinit && compinit -u -D
source $1

# All that completion offers passes through compadd. What it only looks at, with -O, -A or -D, is not offered.
typeset -ga offered
compadd() {
  if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
    local -a hits descriptions
    local -i i at=${@[(I)-d]}
    ((!at)) || descriptions=("${(@P)@[at + 1]}")
    builtin compadd -A hits -D descriptions "$@"
    # _describe puts the word, filled up with spaces, in front of its description.
    for ((i = 1; i <= $#hits; i++)); do offered+=("$hits[i]"$'\t'"${descriptions[i]##* #-- }"); done
  fi
  builtin compadd "$@"
}

tell() {
  offered=()
  _main_complete
  print -n $'\x02'
  ((!$#offered)) || print -rl -- $offered
  print -n $'\x03'
  compstate[insert]=
  compstate[list]=
}
zle -C tell complete-word tell
tell_and_clear() {
  zle tell
  BUFFER=
}
zle -N tell_and_clear
bindkey '^I' tell_and_clear
print -n $'\x02ready\x03'
