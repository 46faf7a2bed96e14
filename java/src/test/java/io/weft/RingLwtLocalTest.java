// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Declared ends: lwts of one kthd. */
class RingLwtLocalTest extends RingContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.LWT_LOCAL;
    }
}
