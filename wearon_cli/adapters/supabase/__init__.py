"""Rows, credits and files in Supabase."""
