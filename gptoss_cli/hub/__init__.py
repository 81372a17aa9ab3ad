"""Where weights come from: a file on the Hugging Face Hub, and the cache that every tool on this machine shares."""
