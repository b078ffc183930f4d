"""Training recipe of Tessera: `python3 -m tessera_training.<stage>` from the folder Training/."""
