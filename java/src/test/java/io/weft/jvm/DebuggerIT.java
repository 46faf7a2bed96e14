// SPDX-License-Identifier: Apache-2.0
package io.weft.jvm;

import static io.weft.jvm.Riders.ride;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jdi.Bootstrap;
import com.sun.jdi.Field;
import com.sun.jdi.IntegerValue;
import com.sun.jdi.Location;
import com.sun.jdi.LongValue;
import com.sun.jdi.ReferenceType;
import com.sun.jdi.StackFrame;
import com.sun.jdi.ThreadReference;
import com.sun.jdi.VirtualMachine;
import com.sun.jdi.connect.AttachingConnector;
import com.sun.jdi.connect.Connector;
import com.sun.jdi.event.BreakpointEvent;
import com.sun.jdi.event.Event;
import com.sun.jdi.event.EventSet;
import com.sun.jdi.request.BreakpointRequest;
import com.sun.jdi.request.EventRequest;
import io.weft.Kthd;
import io.weft.Lwt;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * A debugger over loopback suspends an lwt, reads its frames, steps over a breakpoint in it and resumes it, while the
 * others of the same kthd run on.
 */
class DebuggerIT {
    private static final Pattern LISTENING = Pattern.compile("Listening for transport dt_socket at address: (\\d+)");

    // The debugger reads these in the other JVM. Each has one writer.
    private static volatile long leftTurns;
    private static volatile long rightTurns;

    @Test
    void aDebuggerSuspendsAndResumesAnLwt() throws Exception {
        try (ForkedJvm.Running jvm = debuggee()) {
            VirtualMachine vm = attach(jvm);
            Turns turns = new Turns(vm);
            ThreadReference left = threadNamed(vm, "left");
            for (int i = 0; i < 5; i++) {
                left.suspend();
                StackFrame frame = frameOf(left, "takeTurns");
                assertEquals("left", frameOf(left, "left").location().method().name());
                assertEquals(4711, ((IntegerValue) frame.getArgumentValues().getFirst()).value());
                // A thread that is suspended while it waits for its turn stops when that comes; then it is still.
                long stopped = turns.settled("leftTurns");
                long right = turns.of("rightTurns");
                Riders.await("the other one runs on", () -> turns.of("rightTurns") > right + 100);
                assertEquals(stopped, turns.of("leftTurns"));
                left.resume();
                Riders.await("it goes on", () -> turns.of("leftTurns") > stopped + 100);
            }
            vm.suspend();
            assertEquals(turns.of("leftTurns"), turns.of("leftTurns"));
            vm.resume();
            long now = turns.of("leftTurns");
            Riders.await("all go on", () -> turns.of("leftTurns") > now + 100);
            vm.exit(7);
            jvm.await().expectExit(7);
        }
    }

    @Test
    void aBreakpointStopsTheLwtThatComesToIt() throws Exception {
        try (ForkedJvm.Running jvm = debuggee()) {
            VirtualMachine vm = attach(jvm);
            Turns turns = new Turns(vm);
            Location location = turns.type.methodsByName("leftTurn").getFirst().location();
            BreakpointRequest breakpoint = vm.eventRequestManager().createBreakpointRequest(location);
            breakpoint.setSuspendPolicy(EventRequest.SUSPEND_EVENT_THREAD);
            breakpoint.enable();
            for (int hits = 0; hits < 5; ) {
                EventSet set = vm.eventQueue().remove(10_000);
                assertTrue(set != null, "the breakpoint is hit");
                for (Event event : set) {
                    if (event instanceof BreakpointEvent hit) {
                        hits++;
                        assertEquals("left", hit.thread().name());
                        long right = turns.of("rightTurns");
                        Riders.await("the other one runs on", () -> turns.of("rightTurns") > right + 100);
                    }
                }
                set.resume();
            }
            breakpoint.disable();
            vm.exit(7);
            jvm.await().expectExit(7);
        }
    }

    private static ForkedJvm.Running debuggee() throws Exception {
        ForkedJvm.Running jvm = ForkedJvm.of(DebuggerIT.class, "twoLwts")
                .flag("-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:0")
                .start();
        jvm.awaitOutput("running");
        return jvm;
    }

    private static VirtualMachine attach(ForkedJvm.Running jvm) throws Exception {
        Matcher port = LISTENING.matcher(jvm.output());
        assertTrue(port.find(), jvm.output());
        AttachingConnector connector = Bootstrap.virtualMachineManager().attachingConnectors().stream()
                .filter(candidate -> candidate.name().equals("com.sun.jdi.SocketAttach"))
                .findFirst()
                .orElseThrow();
        Map<String, Connector.Argument> arguments = connector.defaultArguments();
        arguments.get("hostname").setValue("127.0.0.1");
        arguments.get("port").setValue(port.group(1));
        return connector.attach(arguments);
    }

    private static ThreadReference threadNamed(VirtualMachine vm, String name) {
        return vm.allThreads().stream()
                .filter(thread -> thread.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static StackFrame frameOf(ThreadReference thread, String method) throws Exception {
        for (StackFrame frame : thread.frames()) {
            if (frame.location().method().name().equals(method)) {
                return frame;
            }
        }
        throw new AssertionError("no frame of " + method + " in " + thread.frames());
    }

    /** The counters in the other JVM. */
    private static final class Turns {
        final ReferenceType type;

        Turns(VirtualMachine vm) {
            type = vm.classesByName(DebuggerIT.class.getName()).getFirst();
        }

        long of(String name) {
            Field field = type.fieldByName(name);
            return ((LongValue) type.getValue(field)).value();
        }

        /** Its value once it has stopped changing, which it must within the time. */
        long settled(String name) throws InterruptedException {
            long[] last = {-1};
            Riders.await(name + " stands still", () -> {
                long before = last[0];
                last[0] = of(name);
                return before == last[0];
            });
            return last[0];
        }
    }

    // ---- the case, in a JVM of its own -----------------------------------------------------------------------------

    static void twoLwts(String[] args) throws Exception {
        try (Kthd kthd = Kthd.start()) {
            Lwt<Void> left = ride(kthd, "left", DebuggerIT::left);
            ride(kthd, "right", () -> takeTurns(4712, () -> rightTurns++));
            System.out.println("running");
            left.join();
        }
    }

    private static void left() {
        takeTurns(4711, DebuggerIT::leftTurn);
    }

    private static void leftTurn() {
        leftTurns++;
    }

    private static void takeTurns(int number, Runnable turn) {
        for (int own = number; own == number; ) {
            turn.run();
            Lwt.yield();
        }
    }
}
