"""Bytes and a media type in, blocks of text with pages out."""
