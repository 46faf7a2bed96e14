// SPDX-License-Identifier: Apache-2.0
package io.weft;

/** Declared ends: threads of every kind. */
class RingMixedTest extends RingContract {
    @Override
    Callers.Kind kind() {
        return Callers.Kind.MIXED;
    }
}
