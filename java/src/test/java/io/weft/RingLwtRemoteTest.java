// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Declared ends: lwts of two kthds. */
class RingLwtRemoteTest extends RingContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.LWT_REMOTE;
    }
}
