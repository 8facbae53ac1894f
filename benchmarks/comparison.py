"""Compare mien with its peers: `python benchmarks/comparison.py --help`, see peers/harness.py."""

from peers.harness import main

if __name__ == "__main__":
    main()
