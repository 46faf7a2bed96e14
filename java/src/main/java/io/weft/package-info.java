// SPDX-License-Identifier: Apache-2.0

/**
 * Lightweight threads that are real threads, and channels between them and everything else.
 *
 * <pre>
 *   {@link io.weft.Kthd}                      runs lwts, one after the other
 *   {@link io.weft.Lwt}                       a lightweight thread: a body in Java, an adopted thread, a C function
 *   {@link io.weft.Chan} {@link io.weft.LongChan} {@link io.weft.RecordChan}  a queue of objects, of longs, of records
 *   {@link io.weft.Cgrp}                      channels that are waited on together
 *   {@link io.weft.Select}                    one of several sends and receives
 *   {@link io.weft.Timers}                    channels that receive the time
 * </pre>
 *
 * <p>Every method may be called from any thread, and where it waits it does so in that thread's way: an lwt switches to
 * the next one in user space, a platform thread sleeps in the kernel, a virtual thread parks and does not pin.
 *
 * {@snippet :
 * try (Kthd kthd = Kthd.start(); Chan<String> requests = Chan.create(0); Chan<String> replies = Chan.create(0)) {
 *     kthd.spawn(() -> {
 *         replies.send("re: " + requests.receive());
 *         return null;
 *     });
 *     requests.send("hello");
 *     String reply = replies.receive();
 * }
 * }
 *
 * <p>Outcomes that are to be expected (full, empty, timed out) are results, all else is an exception below
 * {@link io.weft.WeftException}. Closing twice is harmless, use after a close throws.
 *
 * <p>System properties, read once:
 *
 * <pre>
 *   weft.library.dir    a folder that holds libweft.so, to use in place of the one in the jar
 *   weft.tmpdir         a folder to extract the library into for the moment of loading; java.io.tmpdir by default
 *   weft.hook=off       do not intercept the VM's blocking: a blocked lwt then holds up its kthd
 *   weft.stack.bytes    stack size of pooled threads, 262144 by default
 * </pre>
 */
package io.weft;
