"""One adapter per peer, all with the contract of `contract.Peer`.

Adapters run in the peer's environment, so they import the standard library alone at the top.
"""
