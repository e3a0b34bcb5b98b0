"""Java for small data and short runs: what the second compiler would win, it costs.

It took 4 of 10 seconds of processor time. Without it Java has 48 MB for compiled code, and a fifth
of the time goes into sweeping them, unless it is told to take more.
"""

QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
