# XEP-0045 7.2.18: presence without a join element from somebody who is not in the room: 110, 307, 333, and no join
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice'/>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Alice'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/><status code='110'/>
    <status code='307'/><status code='333'/></x></presence>
hatter receives nothing
