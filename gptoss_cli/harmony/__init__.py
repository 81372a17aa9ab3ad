"""The Harmony format of gpt-oss: text to tokens, conversations to prompts, replies to messages. No file, no clock."""
