// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.check;
import static io.weft.jvm.Riders.ride;

import io.weft.Adoption;
import io.weft.Kthd;
import io.weft.Lwt;
import io.weft.ffi.JvmCalls;
import io.weft.ffi.LwtCalls;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.Pipe;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Signals that the JDK sends to a thread by its kernel thread's number reach the lwt, which runs on another: an lwt
 * that sits in a blocking read or accept is woken by a close or an interrupt. In each case the carrier is first seen to
 * sleep in the system call, and then a signal to have been passed on.
 */
class SignalForwardingIT {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "closedSocket",
                "closedServerSocket",
                "closedSocketChannel",
                "interruptedSocketChannel",
                "closedServerSocketChannel",
                "closedPipe",
                "interruptedPipe",
                "closedSocketOfAnAdoptedThread",
            })
    void theBlockedLwtIsWoken(String name) throws Exception {
        ForkedJvm.of(SignalForwardingIT.class, name)
                .within(Duration.ofSeconds(30))
                .run()
                .expectOk();
    }

    /** Lwts whose kernel threads park, and nothing else: signals to the process must find the VM all the same. */
    @Test
    void signalsToTheProcessAreNotSwallowed() throws Exception {
        try (ForkedJvm.Running jvm = ForkedJvm.of(SignalForwardingIT.class, "manyParked").start()) {
            jvm.awaitOutput("parked");
            for (int i = 1; i <= 5; i++) {
                signal(jvm, "QUIT");
                awaitThreadDumps(jvm, i);
            }
            signal(jvm, "TERM");
            jvm.await().expectExit(143).expectOutput("shutdown hook ran");
        }
    }

    private static void signal(ForkedJvm.Running jvm, String name) throws Exception {
        ForkedJvm.outputOf(List.of("kill", "-" + name, Long.toString(jvm.pid())), Duration.ofSeconds(5));
    }

    private static void awaitThreadDumps(ForkedJvm.Running jvm, int count) throws Exception {
        Riders.await(
                count + " thread dumps", () -> jvm.output().split("Full thread dump", -1).length - 1 >= count);
    }

    // ---- the cases, in a JVM of their own --------------------------------------------------------------------------

    static void manyParked(String[] args) throws Exception {
        Kthd kthd = Kthd.builder().name("carrier").start();
        Object never = new Object();
        ride(kthd, 20, "parked", () -> {
            Lwt.yield();
            LwtCalls.park(Long.MAX_VALUE);
            check(never == null, "nobody wakes us");
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("shutdown hook ran")));
        System.out.println("parked");
        Thread.currentThread().join();
    }

    /** Something that is tried again until the lwt was found blocked on its carrier. */
    private interface Attempt {
        boolean run() throws Exception;
    }

    /** An lwt may have stepped aside just before it blocks: the VM loads a class, say. Then it is woken directly. */
    private static void untilCarried(Attempt attempt) throws Exception {
        int attempts = 1;
        while (!attempt.run()) {
            check(attempts++ < 20, "the lwt blocks on its carrier sooner or later");
        }
    }

    /** Runs a body that blocks in a system call, does something to it, and wants it to end with this exception. True if
     * it was the carrier that slept. */
    private static boolean wakes(Riders.Body blocking, Riders.Body waking, Class<? extends Exception> expected)
            throws Exception {
        try (Kthd kthd = Kthd.builder().name("carrier").start()) {
            Lwt<Exception> blocked = kthd.spawn("blocked", () -> thrownBy(blocking));
            boolean carried = wake(blocked, waking);
            check(blocked.join(Duration.ofSeconds(10)), "it is woken");
            check(expected.isInstance(blocked.join()), "it sees " + expected + ", not " + blocked.join());
            return carried;
        }
    }

    private static boolean wake(Lwt<?> blocked, Riders.Body waking) throws Exception {
        Riders.await(
                "it blocks", () -> Riders.isWaitingForInput("carrier") || blocked.state() == Lwt.State.LOOSE);
        boolean carried = blocked.state() != Lwt.State.LOOSE;
        long before = JvmCalls.signalsForwarded();
        waking.run();
        if (carried) {
            Riders.await("a signal was passed on", () -> JvmCalls.signalsForwarded() > before);
        }
        return carried;
    }

    private static Exception thrownBy(Riders.Body body) {
        try {
            body.run();
            return null;
        } catch (Exception e) {
            return e;
        }
    }

    private static ServerSocket listen() throws IOException {
        return new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
    }

    static void closedSocket(String[] args) throws Exception {
        untilCarried(() -> {
            try (ServerSocket server = listen();
                    Socket client = new Socket(InetAddress.getLoopbackAddress(), server.getLocalPort());
                    Socket peer = server.accept()) {
                check(peer.isConnected(), "the peer does nothing");
                return wakes(() -> client.getInputStream().read(), client::close, SocketException.class);
            }
        });
    }

    static void closedServerSocket(String[] args) throws Exception {
        untilCarried(() -> {
            try (ServerSocket server = listen()) {
                return wakes(server::accept, server::close, SocketException.class);
            }
        });
    }

    static void closedSocketOfAnAdoptedThread(String[] args) throws Exception {
        untilCarried(() -> {
            try (ServerSocket server = listen();
                    Socket client = new Socket(InetAddress.getLoopbackAddress(), server.getLocalPort());
                    Socket peer = server.accept();
                    Kthd kthd = Kthd.builder().name("carrier").start()) {
                check(peer.isConnected(), "the peer does nothing");
                CompletableFuture<Lwt<Void>> adopted = new CompletableFuture<>();
                CompletableFuture<Exception> thrown = new CompletableFuture<>();
                Thread.ofPlatform().start(() -> {
                    try (Adoption adoption = kthd.adopt()) {
                        adopted.complete(adoption.lwt());
                        thrown.complete(thrownBy(() -> client.getInputStream().read()));
                    }
                });
                boolean carried = wake(adopted.get(), client::close);
                check(thrown.get(10, TimeUnit.SECONDS) instanceof SocketException, "it is woken");
                return carried;
            }
        });
    }

    private interface ChannelAttempt {
        boolean run(SocketChannel channel) throws Exception;
    }

    private static void onSocketChannel(ChannelAttempt attempt) throws Exception {
        untilCarried(() -> {
            try (ServerSocketChannel server = ServerSocketChannel.open()) {
                server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
                try (SocketChannel client = SocketChannel.open(server.getLocalAddress());
                        SocketChannel peer = server.accept()) {
                    check(peer.isConnected(), "the peer does nothing");
                    return attempt.run(client);
                }
            }
        });
    }

    static void closedSocketChannel(String[] args) throws Exception {
        onSocketChannel(channel ->
                wakes(() -> channel.read(ByteBuffer.allocate(10)), channel::close, AsynchronousCloseException.class));
    }

    static void interruptedSocketChannel(String[] args) throws Exception {
        onSocketChannel(channel -> {
            Thread[] reader = new Thread[1];
            return wakes(
                    () -> {
                        reader[0] = Thread.currentThread();
                        channel.read(ByteBuffer.allocate(10));
                    },
                    () -> reader[0].interrupt(),
                    ClosedByInterruptException.class);
        });
    }

    static void closedServerSocketChannel(String[] args) throws Exception {
        untilCarried(() -> {
            try (ServerSocketChannel server = ServerSocketChannel.open()) {
                server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
                return wakes(server::accept, server::close, AsynchronousCloseException.class);
            }
        });
    }

    private interface PipeAttempt {
        boolean run(Pipe.SourceChannel source) throws Exception;
    }

    private static void onPipe(PipeAttempt attempt) throws Exception {
        untilCarried(() -> {
            Pipe pipe = Pipe.open();
            try (Pipe.SourceChannel source = pipe.source();
                    Pipe.SinkChannel sink = pipe.sink()) {
                check(sink.isOpen(), "the peer does nothing");
                return attempt.run(source);
            }
        });
    }

    static void closedPipe(String[] args) throws Exception {
        onPipe(source ->
                wakes(() -> source.read(ByteBuffer.allocate(10)), source::close, AsynchronousCloseException.class));
    }

    static void interruptedPipe(String[] args) throws Exception {
        onPipe(source -> {
            Thread[] reader = new Thread[1];
            return wakes(
                    () -> {
                        reader[0] = Thread.currentThread();
                        source.read(ByteBuffer.allocate(10));
                    },
                    () -> reader[0].interrupt(),
                    ClosedByInterruptException.class);
        });
    }
}
