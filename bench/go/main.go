// SPDX-License-Identifier: Apache-2.0

// Peer: goroutines and Go's channels. Same command line and output as the C programs (see ../c/bench.h):
//
//	go_bench WORKLOAD SAMPLES SAMPLE_MS
//
// Local workloads run with GOMAXPROCS=1: the runtime then never looks for a second processor, which is Go's fastest
// setting for them. Remote ones run with GOMAXPROCS=2; where the two goroutines then run is the runtime's choice, as in
// any Go program, and mostly it is one processor. The variant @locked ties each to a kernel thread of its own.
// BENCH_VARIANT in the environment is added to the subject's name: it marks a figure that stands beside the table.
package main

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const sources = 100

type workload struct {
	subject    string
	processors int
	run        func(count int) time.Duration
	note       string
}

// spawnAll starts one goroutine per body and returns what they took together.
func spawnAll(bodies ...func()) time.Duration {
	var done sync.WaitGroup
	done.Add(len(bodies))
	start := time.Now()
	for _, body := range bodies {
		go func(body func()) {
			body()
			done.Done()
		}(body)
	}
	done.Wait()
	return time.Since(start)
}

func yieldAmong(goroutines int) func(int) time.Duration {
	return func(count int) time.Duration {
		bodies := make([]func(), goroutines)
		for i := range bodies {
			bodies[i] = func() {
				for left := count / goroutines; left > 0; left-- {
					runtime.Gosched()
				}
			}
		}
		return spawnAll(bodies...)
	}
}

func rendezvous(lock bool) func(int) time.Duration {
	return func(count int) time.Duration {
		requests, replies := make(chan int), make(chan int)
		server := func() {
			if lock {
				runtime.LockOSThread()
			}
			for i := 0; i < count; i++ {
				replies <- <-requests
			}
		}
		client := func() {
			if lock {
				runtime.LockOSThread()
			}
			for i := 0; i < count; i++ {
				requests <- i
				if <-replies != i {
					panic("the rendezvous is broken")
				}
			}
		}
		return spawnAll(server, client)
	}
}

func createJoin(count int) time.Duration {
	done := make(chan struct{})
	body := func() { done <- struct{}{} }
	start := time.Now()
	for i := 0; i < count; i++ {
		go body()
		<-done
	}
	return time.Since(start)
}

// events has one goroutine send on one of 100 channels at a time, and another that is told which and receives.
func events(wait func(channels []chan int) func() (which, value int)) func(int) time.Duration {
	return func(count int) time.Duration {
		channels := make([]chan int, sources)
		for i := range channels {
			channels[i] = make(chan int)
		}
		next := wait(channels)
		sender := func() {
			for i := 0; i < count; i++ {
				channels[i*37%sources] <- i
			}
		}
		waiter := func() {
			for i := 0; i < count; i++ {
				if which, value := next(); value != i || which != i*37%sources {
					panic("the event is broken")
				}
			}
		}
		return spawnAll(waiter, sender)
	}
}

func reflectSelect(channels []chan int) func() (int, int) {
	cases := make([]reflect.SelectCase, len(channels))
	for i, channel := range channels {
		cases[i] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(channel)}
	}
	return func() (int, int) {
		which, value, _ := reflect.Select(cases)
		return which, int(value.Int())
	}
}

var workloads = map[string]workload{
	"yield-2":                  {"go", 1, yieldAmong(2), ""},
	"yield-1000":               {"go", 1, yieldAmong(1000), ""},
	"rendezvous-local":         {"go", 1, rendezvous(false), ""},
	"rendezvous-remote":        {"go", 2, rendezvous(false), "GOMAXPROCS=2; both may still run on one CPU"},
	"rendezvous-remote@locked": {"go+locked", 2, rendezvous(true), "each goroutine locked to its own kernel thread"},
	"create-join":              {"go", 1, createJoin, "joined over an unbuffered channel (a sync.WaitGroup is slower)"},
	"create-join-remote":       {"go", 2, createJoin, ""},
	"event-100":                {"go", 1, events(reflectSelect), "reflect.Select over 100 unbuffered channels"},
	"event-100-remote":         {"go", 2, events(reflectSelect), ""},
	"event-100@static":         {"go+static-select", 1, events(staticSelect), "100 cases written out: a fixed set"},
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: go_bench WORKLOAD SAMPLES SAMPLE_MS")
		os.Exit(2)
	}
	chosen, known := workloads[os.Args[1]]
	samples, err1 := strconv.Atoi(os.Args[2])
	millis, err2 := strconv.Atoi(os.Args[3])
	if !known || err1 != nil || err2 != nil {
		fmt.Fprintln(os.Stderr, "go_bench knows no such workload, or the numbers are none")
		os.Exit(2)
	}
	if chosen.processors > runtime.NumCPU() {
		fmt.Fprintln(os.Stderr, "there is only one CPU")
		os.Exit(1)
	}
	runtime.GOMAXPROCS(chosen.processors)
	if variant := os.Getenv("BENCH_VARIANT"); variant != "" {
		chosen.subject += "+" + variant
	}
	name, _, _ := strings.Cut(os.Args[1], "@")
	wanted := time.Duration(millis) * time.Millisecond
	count := 1000
	took := chosen.run(count)
	for took < wanted/4 {
		count *= 2
		took = chosen.run(count)
	}
	count = max(1000, int(float64(count)*float64(wanted)/float64(took))/1000*1000)
	for i := 0; i < samples; i++ {
		fmt.Printf("sample %s %s %.3f\n", name, chosen.subject, float64(chosen.run(count).Nanoseconds())/float64(count))
	}
	if chosen.note != "" {
		fmt.Printf("note %s %s %s\n", name, chosen.subject, chosen.note)
	}
}

// max is built in since Go 1.21; Debian's own Go is older.
func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
