"""What every layer uses: atomic files, signals, forks, compilation."""
