// SPDX-License-Identifier: GPL-2.0-or-later

// The leak in C, called from Go.
package main

/*
#include <stdlib.h>
#include "families.h"

static void *kept[LEAK_BLOCKS];

__attribute__((noipa)) void *families_leak(void)
{
	return malloc(LEAK_BYTES);
}

static void leak(void)
{
	int i;

	for (i = 0; i < LEAK_BLOCKS; i++)
		kept[i] = families_leak();
	for (i = 0; i < LEAK_FREED; i++)
		free(kept[i]);
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
)

// On a goroutine of its own, while others make the runtime move stacks.
func leak(done chan<- bool) {
	C.leak()
	done <- true
}

func deep(n int) int {
	var room [64]int
	if n == 0 {
		return 0
	}
	room[n%64] = n
	return deep(n-1) + room[n%64] - n
}

func main() {
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() && lines.Text() == "leak" {
		done := make(chan bool)
		go leak(done)
		for i := 0; i < 10; i++ {
			go deep(10000)
		}
		<-done
		fmt.Println("done leak 0")
	}
}
