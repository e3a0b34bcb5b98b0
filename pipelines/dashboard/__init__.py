"""What the dashboard shows, read from the lake's tables without a JVM; `serving` shows it."""
