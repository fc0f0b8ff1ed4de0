# XEP-0045 7.2.1, 17.3: a presence of another type never joins
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <presence type='subscribe' to='rabbithole@rooms.wonderland.lit/Alice'>
    <x xmlns='http://jabber.org/protocol/muc'/></presence>
  <presence type='probe' to='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>
  <presence type='unavailable' to='rabbithole@rooms.wonderland.lit/Alice'/>
alice receives nothing
hatter receives nothing
