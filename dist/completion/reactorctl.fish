complete --keep-order --exclusive --command reactorctl --arguments "(COMPLETE=fish reactorctl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
