//go:build race

package main

// shadow is how many times as much memory a process may take as it keeps: the race detector notes who touched each word of it.
const shadow = 3
