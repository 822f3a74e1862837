"""The command line: parse, await one operation, render its report. Only here does anything print."""
