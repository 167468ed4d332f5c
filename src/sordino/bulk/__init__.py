"""Many recordings: what there is, who answers them, and where the answers are kept, so that a stopped run goes on."""
