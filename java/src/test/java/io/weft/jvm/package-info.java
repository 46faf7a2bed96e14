// SPDX-License-Identifier: Apache-2.0

/*
 * Hazards of running a Java thread on a foreign kernel thread, and the test that holds each answer. A row without a test
 * says why. C tests are those in native/test.
 *
 *   hazard                                            answer, and where it is tested
 *   ------------------------------------------------  ------------------------------------------------------------------
 *   park, monitors, wait, sleep, join, locks, class   the lwt steps aside: BlockingIT, which also runs the cases with the
 *   initialisation, contended on one carrier          hook off and sees them hang; StressIT; jvm_hook_test.c
 *   a blocked lwt's kernel thread lent as a carrier   never done: adopt.c has no way to it
 *   a monitor thread during a safepoint               there is no monitor thread yet
 *   close or interrupt of blocking NIO and sockets    signals are passed on: SignalForwardingIT; jvm_selftest_test.c
 *   JFR's execution sampler, suspend and resume       ObserversIT.jfrExecutionSamples..., also with _JAVA_SR_SIGNUM;
 *                                                     StressIT, with all samplers at their highest rates
 *   signals to the process, lost in a parked thread   SignalForwardingIT.signalsToTheProcessAreNotSwallowed
 *   JFR's CPU-time sampler                            ObserversIT.jfrCpuTimeSamplesAreTheLwts
 *   a switch inside a critical downcall               never linked so: io.weft.ffi has the reviewed list, and its test
 *   yield while holding JNI critical, dlopen's lock   documented: ordinary lock hazards
 *   an lwt that ends without leaving                  it leaves: ExitIT.aThreadThatEndsWithoutLeavingLeaves
 *   adopting a virtual thread                         refused: RefusalIT.aVirtualThreadIsNotAdopted
 *   Java code on a native lwt                         refused: RefusalIT.javaCodeIsNotRunOnANativeLwt
 *   an lwt published before its context is saved      two kernel threads on one stack would not last: StressIT
 *   setuid and its family after the start             documented
 *   PI mutexes and whatever is keyed on gettid        documented: such code runs after Lwt.stepAside() or leaving
 *   tcmalloc's caches by processor                    a warning from weft_jvm_attach()
 *   CPU time and allocation by thread                 ObserversIT.theThreadBeanWorks; CPU time is the carrier's, as said
 *   Thread.setName on itself renames the carrier      documented
 *   sched_getcpu                                      documented
 *   no serializing instruction after a move           not shown: moves number millions in StressIT
 *   MXCSR and x87 control word                        FloatingPointIT; jvm_selftest_test.c
 *   the VM's exit                                     ExitIT: exit, halt, the end of main, a signal (SignalForwardingIT)
 *   limits on threads and memory maps                 LimitsIT, each limit for real; jvm_limits_test.c
 *   creation cost                                     LimitsIT.tenThousandLwtsLive prints it
 *   a debugger suspends an lwt                        DebuggerIT; the others of its kthd run on
 *   processes started by an lwt, every mechanism      ProcessIT
 *   no FSGSBASE, shadow stacks, another processor     refused: weft_platform_check(), in C
 *   musl, not HotSpot                                 refused: jvm_selftest_test.c (a musl process cannot load the library)
 *   a sanitizer in the process                        refused, unless allowed: RefusalIT
 *   malloc, errno, stdio locks, thread-specific data  keyed on the FS base, which goes along: jvm_selftest_test.c, StressIT
 *   weft's fault handler beside the VM's              NativeOverflowIT
 *   stacks and heap dumped during switches            ObserversIT
 *   threads that C made and the VM attached           ForeignThreadIT
 *   collectors, interpreter, C1, JVM options          StressIT, one run each
 */

/**
 * The VM with lwts in it, tested in JVMs of their own: what may hang or crash one must not take the tests along.
 */
package io.weft.jvm;
